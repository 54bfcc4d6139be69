-- Hours that counted values stand for, where the flow has a coefficient: a value without a factor covers nothing.
select m.grp, g.bucket, sum(a.hours) as hours
from amount a
join bucket g on g.segment = a.segment
join covered c on c.flow = a.flow and a.segment >= c.first and a.segment < c.last
join member m on m.flow = a.flow
group by m.grp, g.bucket
