-- Hours that counted values cover, summed over the flows of a group.
select m.grp, s.bucket, sum(a.hours) as hours
from amount a
join slot s on s.start = a.start
join member m on m.flow = a.flow
group by m.grp, s.bucket
