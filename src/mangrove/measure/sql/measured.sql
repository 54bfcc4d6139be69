-- Emissions with the variance and the coverage of each row, in reading order.
select e.grp, e.label, e.bucket, e.amount, e.kg, e.co2e, e.kg_middle, e.co2e_middle, v.kg_variance, v.co2e_variance, h.hours
from ($emission) as e
left join ($variance) as v on v.grp = e.grp and v.label = e.label and v.bucket = e.bucket
left join ($coverage) as h on h.grp = e.grp and h.bucket = e.bucket
order by e.bucket, e.grp, e.label
