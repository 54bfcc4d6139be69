-- Values of a flow that only count together with those of another one at the same instant (concentration x gas flow).
-- Only what is good on both sides counts; what has no partner does not.
select a.flow, a.start, a.value * b.value as value,
       case when a.quality in (0, 7, 8) and b.quality in (0, 7, 8)
            then case when a.quality = 7 or b.quality = 7 then 7 else 0 end
            when a.quality = 9 or b.quality = 9 then 9
            else 2 end as quality
from operand a
join product p on p.flow = a.flow
left join operand b on b.flow = p.other and b.start = a.start
