"""What may not be kept any longer: records that are erased, and fields whose rules changed."""
