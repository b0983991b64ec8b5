"""A process that does what its job says: answers, fails, waits, or dies."""

import os
import sys
import time
from typing import Any

from model.compare.child import Report, main


def work(job: dict[str, Any], report: Report) -> dict[str, Any]:
    report({"process": os.getpid()})
    if "signal" in job:
        os.kill(os.getpid(), job["signal"])
    if "error" in job:
        raise ValueError(job["error"])
    time.sleep(job.get("sleep_s", 0))
    return {"answer": job.get("answer"), "threads": os.environ["OMP_NUM_THREADS"]}


if __name__ == "__main__":
    sys.exit(main(work))
