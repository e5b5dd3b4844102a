"""The masking self-check: does a model look robust only because attacks on it fail for another reason?"""

from lsp_core.audit.audit import audit
from lsp_core.audit.report import Audited, Check, Report

__all__ = ["Audited", "Check", "Report", "audit"]
