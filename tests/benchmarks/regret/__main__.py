"""`python -m benchmarks.regret`."""

import os

# One thread each, as runs are made side by side; set before numpy is imported.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

from benchmarks.regret.harness import main  # noqa: E402

if __name__ == "__main__":
    main()
