"""The mind: a LangGraph state machine of planner, responder and reviewer."""
