"""What is kept of records, seen by those who run Headrace: erase one, look back, see what the copy takes."""
