"""What can be scored: generators, sets of images, and the statistics that other tools left of one."""

from evaluation.inputs.findings import input_findings, source_findings
from evaluation.inputs.opening import FORMS, open_source
from evaluation.inputs.source import Rounding, Source
from evaluation.inputs.statistics import Statistics

__all__ = ["FORMS", "Rounding", "Source", "Statistics", "input_findings", "open_source", "source_findings"]
