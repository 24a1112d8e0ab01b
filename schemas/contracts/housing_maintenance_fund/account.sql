-- What is left in the maintenance fund of a flat. Kinds: 1 first payment, 2 top-up, 3 spent,
-- 4 paid back, 5 interest.
WITH booked AS (
    SELECT
        unit_no,
        coalesce(sum(amount_yuan) FILTER (WHERE kind = '1'), 0) AS first_paid,
        coalesce(sum(amount_yuan) FILTER (WHERE kind IN ('1', '2', '5')), 0) AS paid_in,
        coalesce(sum(amount_yuan) FILTER (WHERE kind IN ('3', '4')), 0) AS spent,
        (array_agg(payer_name ORDER BY booked_on, voucher_no) FILTER (WHERE kind = '1'))[1]
            AS payer_name,
        max(booked_on) AS last_booked_on,
        max(changed_at) AS changed_at
    FROM library.housing_maintenance_fund_deposit
    WHERE status = '1'
    GROUP BY unit_no
)
SELECT
    unit_no,
    unit.location,
    unit.area_m2,
    booked.first_paid AS first_paid_yuan,
    booked.paid_in AS paid_in_yuan,
    booked.spent AS spent_yuan,
    booked.paid_in - booked.spent AS balance_yuan,
    booked.paid_in - booked.spent < 0.3 * booked.first_paid AS must_top_up,
    booked.payer_name,
    booked.last_booked_on,
    greatest(booked.changed_at, unit.changed_at) AS changed_at
FROM booked
LEFT JOIN library.real_estate_unit AS unit USING (unit_no)
