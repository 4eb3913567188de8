# The interface of OSv's build: the default command of the application.
from osv.modules import api

default = api.run("/fw/@program@")
