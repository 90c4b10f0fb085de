"""A verdict as JUnit XML, so that a CI server shows it: one test case a metric. Pure."""

import re
from xml.etree import ElementTree as ET

from zirkel.evaluate.report_view import MetricView, ReportView

_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(report: ReportView) -> str:
    """Return the verdict as a JUnit test suite.

    A metric that fails is a failure, one that cannot be decided an error: CI stops at both. What the gate says before
    it looks at metrics, that answers are missing, is a test case of its own.

    Source: the JUnit XML that Jenkins, GitHub actions and GitLab read (test suites, cases, failures, errors).
    """
    metrics = report.decision.metrics
    suite = ET.Element("testsuite", name=f"zirkel gate {report.service}")
    for metric in metrics:
        _add_case(suite, report.service, metric.name, metric.verdict, metric.reason, _detail(metric))
    if not metrics:
        _add_case(suite, report.service, "evidence", report.decision.verdict, report.decision.reason, "")
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    properties = ET.SubElement(suite, "properties")
    candidate, baseline = report.evidence.candidate, report.evidence.baseline
    for name, value in (
        ("verdict", report.decision.verdict),
        ("release", candidate.release),
        ("baseline", baseline.release if baseline else ""),
        ("inputs_digest", report.inputs_digest),
    ):
        ET.SubElement(properties, "property", name=name, value=value)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _add_case(suite: ET.Element, service: str, name: str, verdict: str, reason: str, detail: str) -> None:
    case = ET.SubElement(suite, "testcase", classname=f"zirkel.gate.{_text(service)}", name=_text(name))
    if verdict in ("FAIL", "INCONCLUSIVE"):
        tag = "failure" if verdict == "FAIL" else "error"
        ET.SubElement(case, tag, type=verdict, message=_text(reason)).text = _text(detail)
    else:
        ET.SubElement(case, "system-out").text = _text(f"{verdict}: {reason}")


def _detail(metric: MetricView) -> str:
    tests = [test for test in (metric.difference, metric.mean) if test]
    warnings = [warning for test in tests for warning in test.bounds.warnings]
    return "\n".join(dict.fromkeys([metric.reason, *warnings]))


def _text(text: str) -> str:
    """Return text without what XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)
