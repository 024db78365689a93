"""Measures of answers against references: one module a family of them, chosen in `choice`. It loads no model."""

from finetune.evaluation.metrics.boxes import iou
from finetune.evaluation.metrics.metric import Answered, Metric

__all__ = ["Answered", "Metric", "iou"]
