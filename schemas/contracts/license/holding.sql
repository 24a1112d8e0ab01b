-- What the vault holds, as the vault shows it: the view is the vault's, and nothing is copied.
SELECT
    license_id,
    type_code,
    type_name,
    number,
    holder_id_type,
    holder_id,
    holder_name,
    status,
    issued_at,
    valid_from,
    valid_to,
    issuer,
    issuer_name,
    face,
    changed_at
FROM vault.holding
