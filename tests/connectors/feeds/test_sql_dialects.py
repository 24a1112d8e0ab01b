"""What is said to each engine, for those whose server is not at hand too."""

from __future__ import annotations

import pytest

from connectors.feeds.sql_dialects import DIALECTS, literal
from connectors.feeds.sql_drivers import DRIVERS, code_of, driver


class TestNames:
    @pytest.mark.parametrize(
        ("dialect", "told"),
        [("oracle", '"RKK"."a""b"'), ("mysql", '`RKK`.`a"b`'), ("postgresql", '"RKK"."a""b"')],
    )
    def test_a_name_cannot_end_its_quotes(self, dialect: str, told: str) -> None:
        assert told == DIALECTS[dialect].table('RKK.a"b')

    def test_a_literal_cannot_either(self) -> None:
        """MySQL would take a backslash for an escape; none is let through."""
        assert "'it''s'" == literal("it's")
        with pytest.raises(ValueError, match="backslash"):
            literal("\\' OR 1=1 --")

    def test_a_table_without_a_schema_is_of_the_current_one(self) -> None:
        assert "coalesce(NULL, database())" in DIALECTS["mysql"].columns_of("ryjbxx")
        assert "owner = coalesce('RKK'" in DIALECTS["oracle"].columns_of("RKK.RYJBXX")


class TestTexts:
    @pytest.mark.parametrize(
        ("kind", "said"),
        [
            ("VARCHAR2", '"C"'),
            ("NUMBER", "TO_CHAR(\"C\", 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,''')"),
            ("TIMESTAMP(6)", "TO_CHAR(\"C\", 'YYYY-MM-DD HH24:MI:SS.FF6')"),
            ("TIMESTAMP(6) WITH TIME ZONE", "TO_CHAR(\"C\", 'YYYY-MM-DD HH24:MI:SS.FF6TZH:TZM')"),
            ("RAW", 'LOWER(RAWTOHEX("C"))'),
            ("CLOB", None),
        ],
    )
    def test_of_oracle(self, kind: str, said: str | None) -> None:
        """A large object has no exact text there: it is read as it is, and not summed."""
        assert said == DIALECTS["oracle"].text('"C"', kind)

    def test_a_date_of_oracle_is_a_day_where_it_has_no_time(self) -> None:
        said = DIALECTS["oracle"].text('"C"', "DATE")

        assert said is not None
        assert said.startswith('CASE WHEN "C" = TRUNC("C") THEN TO_CHAR("C", \'YYYY-MM-DD\')')


class TestBounds:
    @pytest.mark.parametrize(
        ("dialect", "text", "kind", "said"),
        [
            ("mysql", "12", "bigint(20)", "12"),
            ("mysql", "20260105", "varchar(8)", "'20260105'"),
            ("postgresql", "2026-01-05", "date", "'2026-01-05'"),
            (
                "oracle",
                "2026-01-05 12:00:00",
                "DATE",
                "TO_DATE(SUBSTR('2026-01-05 12:00:00', 1, 19), 'YYYY-MM-DD HH24:MI:SS')",
            ),
        ],
    )
    def test_as_the_column_s_type_wants_it(
        self, dialect: str, text: str, kind: str, said: str
    ) -> None:
        assert said == DIALECTS[dialect].bound(text, kind)


class TestSums:
    def test_each_engine_that_can_says_the_same_thing(self) -> None:
        """MD5 over the cells joined by U+001F, by bucket; the others count."""
        can = {name for name, each in DIALECTS.items() if each.sums(["A", "B"], "t")}

        assert {"postgresql", "mysql", "oracle"} == can
        assert "coalesce(A, CHR(30)) || CHR(31) || coalesce(B, CHR(30))" in str(
            DIALECTS["oracle"].sums(["A", "B"], "t")
        )


class TestDrivers:
    def test_each_speaks_a_dialect_that_there_is(self) -> None:
        assert {each.dialect for each in DRIVERS.values()} <= DIALECTS.keys()

    @pytest.mark.parametrize(
        ("name", "address", "words"),
        [
            (
                "oracledb",
                "oracle://reader:p%40ss@db.local/RKK",
                {"dsn": "db.local:1521/RKK", "user": "reader", "password": "p@ss"},
            ),
            (
                "dmPython",
                "dm://reader:x@db.local:5236/RKK",
                {"server": "db.local", "port": 5236, "schema": "RKK"}
                | {"user": "reader", "password": "x"},
            ),
            (
                "somebodys.driver",
                "any://reader:x@db.local:9/rkk?ssl=on",
                {"host": "db.local", "port": 9, "database": "rkk", "ssl": "on"}
                | {"user": "reader", "password": "x"},
            ),
        ],
    )
    def test_an_address_as_each_wants_it(
        self, name: str, address: str, words: dict[str, object]
    ) -> None:
        assert ((), words) == driver(name, None).arguments(address)

    def test_a_driver_we_do_not_know_speaks_what_the_manifest_says(self) -> None:
        assert ("mysql", "plain") == (driver("x", "mysql").dialect, driver("x", None).dialect)

    @pytest.mark.parametrize(
        ("name", "code", "again"),
        [
            ("pymysql", "1045", False),
            ("pymysql", "1146", False),
            ("pymysql", "2013", True),
            ("oracledb", "ORA-01017", False),
            ("oracledb", "ORA-00942", False),
            ("oracledb", "ORA-12541", True),
            ("oracledb", "ORA-01555", True),
            ("gaussdb", "42P01", False),
            ("gaussdb", "57014", True),
        ],
    )
    def test_what_may_pass_and_what_will_not(self, name: str, code: str, again: bool) -> None:
        """Wrong passwords and missing tables stay; cut links, locks and limits pass."""
        known = DRIVERS[name].again

        assert known is not None
        assert again == bool(known.fullmatch(code))

    def test_a_code_in_the_words_of_an_error(self) -> None:
        """Where a driver keeps it nowhere else."""
        assert "CODE:-2501" == code_of(Exception("[CODE:-2501]用户名或密码错误"))
