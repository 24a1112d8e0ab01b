-- Whether a person is entitled to basic medical insurance now, and under which scheme.
WITH enrolled AS (
    SELECT DISTINCT ON (resident_id) *
    FROM library.medical_insurance_enrollment
    ORDER BY resident_id, status = '1' DESC, scheme
),
assisted AS (
    SELECT resident_id, max(changed_at) AS changed_at
    FROM library.population_low_income
    WHERE status = '1'
    GROUP BY resident_id
),
disabled AS (
    SELECT resident_id, min(grade) AS grade, max(changed_at) AS changed_at
    FROM library.population_disability
    WHERE status = '1'
    GROUP BY resident_id
)
SELECT
    resident_id,
    enrolled.name,
    enrolled.scheme,
    enrolled.category,
    enrolled.status,
    enrolled.status = '1' AND NOT coalesce(resident.deceased, false) AS entitled,
    enrolled.paid_to,
    enrolled.employer_name,
    enrolled.division_code,
    resident.resident_id IS NOT NULL AS known_resident,
    assisted.resident_id IS NOT NULL AS assisted,
    disabled.grade AS disability_grade,
    greatest(
        enrolled.changed_at, resident.changed_at, assisted.changed_at, disabled.changed_at
    ) AS changed_at
FROM enrolled
LEFT JOIN library.population_resident AS resident USING (resident_id)
LEFT JOIN assisted USING (resident_id)
LEFT JOIN disabled USING (resident_id)
