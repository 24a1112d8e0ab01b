-- Who owns what now: the ownership entries of status 1 (现势), with what burdens the unit.
WITH ownership AS (
    SELECT DISTINCT ON (unit_no, holder_id) *
    FROM library.real_estate_right
    WHERE kind = 'ownership' AND status = '1'
    ORDER BY unit_no, holder_id, registered_on DESC NULLS LAST, right_no DESC
),
mortgage AS (
    SELECT
        unit_no,
        string_agg(DISTINCT holder_name, '、' ORDER BY holder_name) AS mortgagee,
        sum(amount_yuan) AS mortgage_yuan,
        max(changed_at) AS changed_at
    FROM library.real_estate_right
    WHERE kind = 'mortgage' AND status = '1'
    GROUP BY unit_no
),
seizure AS (
    SELECT
        unit_no,
        string_agg(DISTINCT holder_name, '、' ORDER BY holder_name) AS seized_by,
        max(changed_at) AS changed_at
    FROM library.real_estate_right
    WHERE kind = 'seizure' AND status = '1'
    GROUP BY unit_no
)
SELECT
    ownership.unit_no,
    ownership.holder_id,
    ownership.holder_id_type,
    ownership.holder_name,
    ownership.certificate_no,
    ownership.co_ownership,
    ownership.share,
    unit.location,
    unit.area_m2,
    unit.use,
    ownership.registered_on,
    ownership.authority,
    ownership.authority_name,
    mortgage.unit_no IS NOT NULL AS mortgaged,
    mortgage.mortgagee,
    mortgage.mortgage_yuan,
    seizure.unit_no IS NOT NULL AS seized,
    seizure.seized_by,
    greatest(
        ownership.changed_at, unit.changed_at, mortgage.changed_at, seizure.changed_at
    ) AS changed_at
FROM ownership
LEFT JOIN library.real_estate_unit AS unit USING (unit_no)
LEFT JOIN mortgage USING (unit_no)
LEFT JOIN seizure USING (unit_no)
