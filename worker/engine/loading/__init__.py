"""Pages become rows of the copy: in one transaction with the cursor that follows from them, under the run's fence."""
