"""Pictures of workflows: of the document alone, or with what one execution did."""

from stagedoor.graph.mermaid import mermaid
from stagedoor.graph.model import Graph, build
from stagedoor.graph.svg import svg

__all__ = ["Graph", "build", "mermaid", "svg"]
