"""`GET agents`: the catalog over HTTP."""

import azure.functions as func

from agents.catalog import Catalog
from shared.http import answers_problems, json_response


def agent_routes(catalog: Catalog) -> func.Blueprint:
    """A blueprint with the catalog's route."""
    blueprint = func.Blueprint()

    @blueprint.function_name("list_agents")
    @blueprint.route("agents", methods=["GET"])
    @answers_problems
    async def list_agents(req: func.HttpRequest) -> func.HttpResponse:
        return json_response({"agents": list(catalog.cards.values())})

    return blueprint
