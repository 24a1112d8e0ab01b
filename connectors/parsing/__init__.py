"""Delivered files become record batches of text, in a child process under limits.

    with closing(parsed(file, Spec("csv", encoding="gb18030"))) as rows:
        for batch in rows:
            ...

`Child` is the side of whoever asks. The other modules run in the child, where nothing but pyarrow
and one reader is loaded: `worker` starts it, `archives` unpacks, `text` decodes, and `csv_rows`,
`xlsx_rows`, `jsonl_rows` and `parquet_rows` read. A row is not judged here.
"""
