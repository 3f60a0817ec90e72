"""In which table are a stream's records? In the partition of its bucket, which statements of weight name outright.

Postgres would find it, too: by opening all of them for a plan that it keeps, or by planning anew each time. Either costs
more than writing a row. Should the name ever lead to the wrong partition, its own constraint refuses the row.
"""

_PLACE = "records_NN"


def partition_of(bucket: int) -> str:
    """The table: `records_07`, `records_31`, `records_120`."""
    return f"records_{bucket:02d}"


def in_partition(statement: str, bucket: int) -> str:
    """The statement, with the partition of a bucket where it says `records_NN`."""
    return statement.replace(_PLACE, partition_of(bucket))
