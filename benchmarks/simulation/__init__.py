"""The real dispatcher over workers that only take time, on a virtual clock: what ``benchmarks.simulate`` runs."""
