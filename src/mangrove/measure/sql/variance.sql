-- Variance of the same groups: what shares an error is added up before it is squared (Var = sum over errors of (sum of E x u)^2).
select grp, label, bucket, sum(kg * kg) as kg_variance, sum(co2e * co2e) as co2e_variance
from (
    select m.grp, c.label, g.bucket, e.error,
           sum(a.total * c.kg * m.share * e.sd) as kg,
           sum(a.total * c.kg * c.weight * m.share * e.sd) as co2e
    from amount a
    join bucket g on g.segment = a.segment
    join coefficient c on c.flow = a.flow and a.segment >= c.first and a.segment < c.last
    join error e on e.line = c.line
    join member m on m.flow = a.flow
    where a.total is not null
    group by m.grp, c.label, g.bucket, e.error
) as part
group by grp, label, bucket
