-- How far a project has come, what was approved for it and what was measured.
WITH approved AS (
    SELECT
        project_code,
        max(stage) AS stage,
        count(*) FILTER (WHERE status = '2') AS stages_finished,
        bool_or(stage = '4' AND status = '2') AS completed,
        max(changed_at) AS changed_at
    FROM library.investment_project_stage
    GROUP BY project_code
),
permitted AS (
    SELECT
        project_code,
        count(*) AS permits,
        max(decided_on) AS last_permit_on,
        max(changed_at) AS changed_at
    FROM library.investment_project_permit
    WHERE result = '1'
    GROUP BY project_code
),
measured AS (
    SELECT
        project_code,
        sum(area_m2) FILTER (WHERE kind = '1') AS floor_area_m2,
        sum(area_m2) FILTER (WHERE kind = '2') AS land_area_m2,
        sum(area_m2) FILTER (WHERE kind = '3') AS property_area_m2,
        sum(area_m2) FILTER (WHERE kind = '4') AS shelter_area_m2,
        sum(area_m2) FILTER (WHERE kind = '5') AS green_area_m2,
        string_agg(DISTINCT surveyor_name, '、') AS surveyor_name,
        max(changed_at) AS changed_at
    FROM library.investment_project_joint_survey
    WHERE status = '1'
    GROUP BY project_code
)
SELECT
    project_code,
    project.name,
    project.kind,
    project.owner_uscc,
    project.owner_name,
    project.status,
    approved.stage,
    coalesce(approved.stages_finished, 0) AS stages_finished,
    coalesce(approved.completed, false) AS completed,
    coalesce(permitted.permits, 0) AS permits,
    permitted.last_permit_on,
    measured.project_code IS NOT NULL AS surveyed,
    measured.floor_area_m2,
    measured.land_area_m2,
    measured.property_area_m2,
    measured.shelter_area_m2,
    measured.green_area_m2,
    measured.surveyor_name,
    greatest(
        project.changed_at, approved.changed_at, permitted.changed_at, measured.changed_at
    ) AS changed_at
FROM library.investment_project_project AS project
LEFT JOIN approved USING (project_code)
LEFT JOIN permitted USING (project_code)
LEFT JOIN measured USING (project_code)
