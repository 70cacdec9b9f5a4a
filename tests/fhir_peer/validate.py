"""Validates FHIR R4 JSON with PyPI fhirkit-rs: reads one resource from standard input, prints one JSON line.

{"valid": bool, "messages": [{"tool", "severity", "location", "message"}]}. Only errors make it invalid.
"""

import json
import sys

import fhirkit

issues = fhirkit.validate(sys.stdin.buffer.read().decode("utf-8"))
messages = [
    {"tool": "fhirkit-rs", "severity": i.severity, "location": i.path, "message": i.message} for i in issues
]
print(json.dumps({"valid": not any(i.severity == "error" for i in issues), "messages": messages}))
