-- Hours that counted values stand for, summed over the flows of a group.
select m.grp, g.bucket, sum(a.hours) as hours
from amount a
join bucket g on g.segment = a.segment
join member m on m.flow = a.flow
group by m.grp, g.bucket
