"""Programs that the benchmarks start in processes of their own, to be timed from outside."""
