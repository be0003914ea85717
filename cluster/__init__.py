"""Where it runs: schedulers, stores, ledgers. Knows nothing of ice."""
