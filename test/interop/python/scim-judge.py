"""Asks a SCIM server what scim2-tester asks, and prints its verdicts: one JSON object a line."""
import json
import sys
import time

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import check_server

url, token = sys.argv[1], sys.argv[2]
client = Client(
    base_url=url,
    headers={"Authorization": f"Bearer {token}"},
    # not faster than one token may
    event_hooks={"request": [lambda _: time.sleep(0.01)]},
)
scim = SyncSCIMClient(client)
for result in check_server(scim):
    print(
        json.dumps(
            {
                "title": result.title,
                "status": result.status.name,
                "tags": sorted(result.tags or []),
                "type": result.resource_type,
                "reason": (result.reason or "")[:600],
            }
        )
    )
