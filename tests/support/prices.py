"""prices.py owns files of prices for imports, and how much of them a database has."""
import csv

COLUMNS = ["provider", "instance_type", "region", "gpu_id", "gpu_count", "purchase", "term_months", "usd_per_hour",
           "as_of", "source"]
OFFER = {"provider": "acme", "instance_type": "n1", "region": "north", "gpu_id": "l4", "gpu_count": 1,
         "purchase": "on_demand", "usd_per_hour": 1.5, "as_of": "2026-10-01", "source": "contract 7"}
VERSIONS = "select count(*) from gpusize.catalog_version"
ROWS = ("select (select count(*) from gpusize.offer) || ' ' || (select count(*) from gpusize.offer_price) || ' '"
        " || (select count(*) from gpusize.purchase_price) || ' ' || (select count(*) from gpusize.gpu) || ' '"
        " || (select count(*) from gpusize.provider_region)")


def write(path, *offers, columns=COLUMNS):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows({**OFFER, **offer} for offer in offers)
    return path
