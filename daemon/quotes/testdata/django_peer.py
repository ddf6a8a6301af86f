# The original's way to choose and to find quotes, timed: Django's ORM over
# PostgreSQL. Reads {"host", "name", "user", "runs", "queries": {class: [words]}}
# and prints the least time of each query, in ms, by class.
import json
import sys
import time

import django
from django.conf import settings

ask = json.load(sys.stdin)
settings.configure(DATABASES={"default": {
    "ENGINE": "django.db.backends.postgresql", "HOST": ask["host"], "NAME": ask["name"], "USER": ask["user"]}})
django.setup()

from django.db import models  # noqa: E402


class Quote(models.Model):
    id = models.BigIntegerField(primary_key=True)
    author = models.TextField()
    source = models.TextField()
    added = models.BigIntegerField()
    text = models.TextField()

    class Meta:
        app_label = "peer"
        db_table = "quote"
        managed = False


def least(query):
    best = None
    for _ in range(ask["runs"]):
        start = time.monotonic()
        list(query())
        took = (time.monotonic() - start) * 1000
        best = took if best is None else min(best, took)
    return best


def search(words):
    found = Quote.objects.all()
    for word in words.split():
        found = found.filter(text__icontains=word)
    return found.order_by("-id")[:20]


out = {}
for name, queries in ask["queries"].items():
    if name.startswith("random"):
        n = int(name.split()[1])
        out[name] = [least(lambda: Quote.objects.order_by("?")[:n]) for _ in queries]
    elif name.startswith("latest"):
        out[name] = [least(lambda: Quote.objects.order_by("-id")[:200]) for _ in queries]
    else:
        out[name] = [least(lambda: search(words)) for words in queries]
json.dump(out, sys.stdout)
