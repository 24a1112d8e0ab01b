-- Whether a tutoring institution is licensed, registered and in good standing.
WITH licensed AS (
    SELECT DISTINCT ON (uscc)
        *,
        count(*) FILTER (WHERE status = '1') OVER (PARTITION BY uscc) AS licenses
    FROM library.off_campus_tutoring_license
    ORDER BY uscc, status = '1' DESC, valid_to DESC, license_no
),
penalised AS (
    SELECT uscc, max(changed_at) AS changed_at
    FROM library.credit_penalty AS penalty
    WHERE
        status = '0'
        AND uscc IS NOT NULL
        AND NOT EXISTS (
            SELECT FROM library.credit_repair AS repair
            WHERE
                repair.uscc = penalty.uscc
                AND repair.penalty_no = penalty.decision_no
                AND repair.granted
        )
    GROUP BY uscc
),
listed AS (
    SELECT uscc, max(changed_at) AS changed_at
    FROM library.credit_blacklist
    WHERE status = '1' AND uscc IS NOT NULL
    GROUP BY uscc
)
SELECT
    uscc,
    licensed.name,
    licensed.license_no,
    licensed.licenses,
    licensed.kind,
    licensed.for_profit,
    licensed.valid_to,
    licensed.address,
    licensed.escrow_bank,
    entity.status AS registration_status,
    penalised.uscc IS NOT NULL AS penalised,
    listed.uscc IS NOT NULL AS blacklisted,
    licensed.licenses > 0 AND coalesce(entity.status = '1', false) AND listed.uscc IS NULL
        AS in_good_standing,
    greatest(
        licensed.changed_at, entity.changed_at, penalised.changed_at, listed.changed_at
    ) AS changed_at
FROM licensed
LEFT JOIN library.legal_entity_registration AS entity USING (uscc)
LEFT JOIN penalised USING (uscc)
LEFT JOIN listed USING (uscc)
