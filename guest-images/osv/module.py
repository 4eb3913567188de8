# What OSv's build asks an application: the command that runs when nobody names one.
from osv.modules import api

default = api.run("/fw/@program@")
