-- Variance of the same groups: what shares an error is added up before it is squared (Var = sum over errors of (sum of E x u)^2).
with cell as (
    select m.grp, c.label, s.bucket, c.line, sum(a.total * m.share) as total
    from amount a
    join slot s on s.start = a.start
    join coefficient c on c.flow = a.flow and a.start >= c.valid_from and a.start < c.valid_to
    join member m on m.flow = a.flow
    group by m.grp, c.label, s.bucket, c.line
),
part as (
    select l.grp, l.label, l.bucket, e.error,
           sum(l.total * c.kg * e.sd) as kg, sum(l.total * c.kg * c.weight * e.sd) as co2e
    from cell l
    join coefficient c on c.line = l.line
    join error e on e.line = l.line
    group by l.grp, l.label, l.bucket, e.error
)
select grp, label, bucket, sum(kg * kg) as kg_variance, sum(co2e * co2e) as co2e_variance
from part
group by grp, label, bucket
