"""Is everything at work, and is it well? Looks that end in a finding, for `/readyz` and `headrace doctor`."""
