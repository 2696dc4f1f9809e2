# The root only calls the backend module, which has tests of its own.

mock_provider "aws" {}

override_module {
  target = module.backend

  outputs = {
    api_id        = "a1b2c3d4e5"
    stage_name    = "live"
    websocket_url = "wss://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/live"
  }
}

run "outputs_are_the_backends" {
  assert {
    condition     = output.websocket_url == "wss://a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com/live" && output.api_id == "a1b2c3d4e5" && output.stage_name == "live"
    error_message = "the root passes on the backend's outputs"
  }
}
