"""The task hub: where orchestrations live, behind one seam (`hub.TaskHub`) that an engine implements."""
