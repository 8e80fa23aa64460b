"""Cases and rules in; a whole run, as plain data that survives JSON, out."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from rshash.bench.cases import Case
from rshash.bench.contenders import Contender
from rshash.bench.limits import COPY_BYTES, READ_BYTES, MachineLimits, measure_device_limits, measure_limits
from rshash.bench.machine import describe_machine
from rshash.bench.measure import measure
from rshash.bench.outcome import Clock, Rules
from rshash.bench.report import case_document, document_of


def measure_all(
    cases: Sequence[Case],
    contenders: Sequence[type[Contender]],
    rules: Rules,
    clock: Clock = "wall",
    *,
    read_bytes: int = READ_BYTES,
    copy_bytes: int = COPY_BYTES,
    started: Callable[[dict[str, Any]], None] = lambda document: None,
    finished: Callable[[dict[str, Any]], None] = lambda case: None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Measure every case and return what a report is made of.

    Args:
        cases: those of one database next to each other (`rshash.bench.cases.by_database`), all on one device.
        contenders: who takes part, ours included.
        rules: how much is measured.
        clock: whose seconds count with one thread.
        read_bytes: buffer of the read-bandwidth limit.
        copy_bytes: buffer of the copy-bandwidth limit of a GPU.
        started: is given the document while it has no cases, for a header.
        finished: is given each case when it is measured.
        progress: is told what is going on.

    Returns:
        format, machine, rules, clock, missing (sentences), limits (one a number of threads and instruction set, or
        those of the GPU) and cases (see `rshash.bench.report.case_document`).

    Raises:
        ImportError, OSError: if a GPU is asked and the CUDA kernels were not built, or there is none.
        rshash.bench.referee.WrongAnswer: if rshash on the CPU, whose answers are the truth, is wrong.
    """
    device = cases[0].device
    machine = describe_machine(device)
    missing = [sentence for contender in contenders if (sentence := contender.missing())]
    document = document_of(machine, rules, clock, list(dict.fromkeys(missing)))
    started(document)

    @cache
    def measured(n_threads: int, simd: str | None) -> MachineLimits | None:
        found = measure_limits(n_threads, simd, read_bytes) if device == "cpu" else measure_device_limits(copy_bytes)
        if found is not None:
            document["limits"].append(vars(found))
        return found

    def limits(case: Case) -> MachineLimits | None:
        return measured(case.n_threads, case.simd)

    for report in measure(cases, contenders, rules, limits, progress):
        document["cases"].append(case_document(report, clock))
        finished(document["cases"][-1])
    return document
