"""May a run go now? The plant's windows, the runs of its parents, and other systems' turns have a say."""
