mock_provider "aws" {
  mock_data "aws_region" {
    defaults = {
      id = "eu-central-1"
    }
  }
}

variables {
  api_id          = "a1b2c3d4e5"
  certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1234abcd-12ab-34cd-56ef-1234567890ab"
  domain_name     = "ws.example.com"
  stage_name      = "live"
}

run "api_id_with_a_path_is_refused" {
  command = plan

  variables {
    api_id = "a1b2/c3"
  }

  expect_failures = [var.api_id]
}

run "certificate_of_iam_is_refused" {
  command = plan

  variables {
    certificate_arn = "arn:aws:iam::111122223333:server-certificate/chat"
  }

  expect_failures = [var.certificate_arn]
}

run "any_certificate_is_refused" {
  command = plan

  variables {
    certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/*"
  }

  expect_failures = [var.certificate_arn]
}

run "name_of_a_zone_is_refused" {
  command = plan

  variables {
    dns_record = { zone_id = "example.com" }
  }

  expect_failures = [var.dns_record]
}

run "path_of_a_zone_is_refused" {
  command = plan

  variables {
    dns_record = { zone_id = "/hostedzone/Z0123456789ABC" }
  }

  expect_failures = [var.dns_record]
}

run "domain_with_a_wildcard_is_refused" {
  command = plan

  variables {
    domain_name = "*.example.com"
  }

  expect_failures = [var.domain_name]
}

run "domain_in_upper_case_is_refused" {
  command = plan

  variables {
    domain_name = "WS.example.com"
  }

  expect_failures = [var.domain_name]
}

run "url_is_refused" {
  command = plan

  variables {
    domain_name = "https://ws.example.com"
  }

  expect_failures = [var.domain_name]
}

run "domain_with_a_dot_at_its_end_is_refused" {
  command = plan

  variables {
    domain_name = "ws.example.com."
  }

  expect_failures = [var.domain_name]
}

run "domain_over_253_characters_is_refused" {
  command = plan

  variables {
    domain_name = "${join(".", [for number in range(60) : "abcd"])}.com"
  }

  expect_failures = [var.domain_name]
}

run "other_address_type_is_refused" {
  command = plan

  variables {
    ip_address_type = "ipv6"
  }

  expect_failures = [var.ip_address_type]
}

run "empty_mapping_key_is_refused" {
  command = plan

  variables {
    mapping_key = ""
  }

  expect_failures = [var.mapping_key]
}

run "mapping_key_of_several_parts_is_refused" {
  command = plan

  variables {
    mapping_key = "chat/v1"
  }

  expect_failures = [var.mapping_key]
}

run "mapping_key_that_leads_up_is_refused" {
  command = plan

  variables {
    mapping_key = ".."
  }

  expect_failures = [var.mapping_key]
}

run "default_stage_is_refused" {
  command = plan

  variables {
    stage_name = "$default"
  }

  expect_failures = [var.stage_name]
}

run "tag_of_aws_is_refused" {
  command = plan

  variables {
    tags = { "aws:team" = "chat" }
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
