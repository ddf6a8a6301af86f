# The original's way: a Django view that waits in a thread of gunicorn's.
import threading

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="a benchmark", MIDDLEWARE=[])
django.setup()

changed = threading.Condition()
news = [0, b""]


def room(request):
    with changed:
        if request.method == "POST":
            news[:] = [news[0] + 1, request.body]
            changed.notify_all()
            return HttpResponse()
        mine = news[0]
        changed.wait_for(lambda: news[0] != mine, timeout=3600)
        return HttpResponse(news[1])


urlpatterns = [path("", room)]
application = get_wsgi_application()
