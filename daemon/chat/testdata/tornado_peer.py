# The least long poll that Tornado needs: GET waits, POST wakes everybody.
import asyncio
import sys

import tornado.web

waiting = set()


class Room(tornado.web.RequestHandler):
    async def get(self):
        mine = asyncio.get_running_loop().create_future()
        waiting.add(mine)
        try:
            self.write(await mine)
        finally:
            waiting.discard(mine)

    def post(self):
        for one in list(waiting):
            one.set_result(self.request.body)


async def main():
    host, port = sys.argv[1].rsplit(":", 1)
    tornado.web.Application([("/", Room)]).listen(int(port), host, idle_connection_timeout=3600, backlog=4096)
    await asyncio.Event().wait()


asyncio.run(main())
