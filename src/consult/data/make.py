#!/usr/bin/env python3
"""Makes places.tsv: communes (present, merged, arrondissements) and countries, the largest first.

    npm pack @etalab/decoupage-administratif@6.0.0 && tar xzf etalab-decoupage-administratif-6.0.0.tgz
    python3 src/consult/data/make.py package/data/communes.json > src/consult/data/places.tsv

Columns: code, kind (C commune, A municipal arrondissement, F former commune, P country), population, postal codes
separated by spaces, name, other names separated by `|`. Countries come from countries.tsv beside this file.
Sources: Insee COG 2026, La Poste, DGCL - Licence Ouverte 2.0.
"""

import json
import pathlib
import sys

KINDS = {
    "commune-actuelle": "C",
    "arrondissement-municipal": "A",
    "commune-deleguee": "F",
    "commune-associee": "F",
}
# Countries have no population here: this puts them before all but the two largest towns.
COUNTRY_RANK = 800_000


def main() -> None:
    communes = json.load(open(sys.argv[1], encoding="utf-8"))
    present = {c["code"]: c for c in communes if KINDS[c["type"]] == "C"}
    rows = {}
    for commune in sorted(communes, key=lambda c: "CAF".index(KINDS[c["type"]])):
        kind = KINDS[commune["type"]]
        # A former commune often lends its code to the one it merged into: the present name is then the right one,
        # and the former one another name for it.
        if commune["code"] in rows:
            row = rows[commune["code"]]
            if commune["nom"] != row[4] and commune["nom"] not in row[5]:
                row[5].append(commune["nom"])
            continue
        around = present.get(commune.get("chefLieu"), commune)
        codes = commune.get("codesPostaux") or around.get("codesPostaux") or []
        rows[commune["code"]] = [commune["code"], kind, commune.get("population") or 0, " ".join(codes),
                                 commune["nom"], []]
    countries = pathlib.Path(__file__).with_name("countries.tsv").read_text(encoding="utf-8")
    lines = [line.split("\t") for line in countries.splitlines() if line and not line.startswith("#")]
    out = list(rows.values()) + [[code, "P", COUNTRY_RANK, "", name, [o for o in others.split("|") if o]]
                                 for code, name, others in lines]
    out.sort(key=lambda row: (-row[2], row[0], row[4]))
    for code, kind, population, codes, name, others in out:
        print(code, kind, population, codes, name, "|".join(others), sep="\t")


main()
