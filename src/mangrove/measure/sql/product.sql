-- Amount of a flow that only counts together with another one at the same instant (concentration x volume flow).
select a.flow, a.start, a.value * b.value as value,
       case when a.quality in (0, 7, 8) and b.quality in (0, 7, 8) then 1 else 0 end as counted,
       case when a.quality in (0, 7, 8) and b.quality in (0, 7, 8) then 0 else 1 end as excluded,
       case when a.quality = 7 or b.quality = 7 then 1 else 0 end as estimated
from reading a
join product p on p.flow = a.flow
join reading b on b.flow = p.with_flow and b.start = a.start
where a.start >= $first and a.start < $last
