mock_provider "aws" {
  mock_resource "aws_iam_role" {
    defaults = {
      arn = "arn:aws-cn:iam::111122223333:role/platform/logs"
    }
  }
}

run "account_has_the_role" {
  assert {
    condition     = aws_api_gateway_account.this.cloudwatch_role_arn == "arn:aws-cn:iam::111122223333:role/platform/logs" && output.role_arn == "arn:aws-cn:iam::111122223333:role/platform/logs"
    error_message = "the setting names the role"
  }

  assert {
    condition     = aws_iam_role.this.name == "api-gateway-logs" && aws_iam_role.this.path == "/" && aws_iam_role.this.permissions_boundary == null
    error_message = "the role has its defaults"
  }

  assert {
    condition     = jsondecode(aws_iam_role.this.assume_role_policy).Statement == [{ Action = "sts:AssumeRole", Effect = "Allow", Principal = { Service = "apigateway.amazonaws.com" } }]
    error_message = "API Gateway alone takes the role"
  }

  assert {
    condition     = aws_iam_role_policy_attachment.this.role == "api-gateway-logs" && aws_iam_role_policy_attachment.this.policy_arn == "arn:aws-cn:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
    error_message = "the policy is AWS's own, in the partition"
  }
}

run "role_is_as_the_account_wants_it" {
  variables {
    name                     = "gateway-eu"
    path                     = "/platform/logs/"
    permissions_boundary_arn = "arn:aws-cn:iam::111122223333:policy/boundary"
    tags                     = { team = "platform" }
  }

  assert {
    condition     = aws_iam_role.this.name == "gateway-eu" && aws_iam_role.this.path == "/platform/logs/" && aws_iam_role.this.permissions_boundary == "arn:aws-cn:iam::111122223333:policy/boundary" && aws_iam_role.this.tags == tomap({ team = "platform" })
    error_message = "name, path, boundary and tags are the caller's"
  }
}

run "name_with_a_slash_is_refused" {
  command = plan

  variables {
    name = "platform/logs"
  }

  expect_failures = [var.name]
}

run "path_without_a_slash_at_its_end_is_refused" {
  command = plan

  variables {
    path = "/platform"
  }

  expect_failures = [var.path]
}

run "path_with_an_empty_part_is_refused" {
  command = plan

  variables {
    path = "//"
  }

  expect_failures = [var.path]
}

run "boundary_that_is_a_role_is_refused" {
  command = plan

  variables {
    permissions_boundary_arn = "arn:aws:iam::111122223333:role/boundary"
  }

  expect_failures = [var.permissions_boundary_arn]
}

run "tag_of_aws_is_refused" {
  command = plan

  variables {
    tags = { "aws:team" = "platform" }
  }

  expect_failures = [var.tags]
}

run "tag_without_a_value_is_refused" {
  command = plan

  variables {
    tags = { team = null }
  }

  expect_failures = [var.tags]
}

run "tags_that_differ_in_case_only_are_refused" {
  command = plan

  variables {
    tags = { team = "a", Team = "b" }
  }

  expect_failures = [var.tags]
}
