"""Why is a record of the copy as it is? `facts` gathers what is known of it, `words` says it in sentences."""
