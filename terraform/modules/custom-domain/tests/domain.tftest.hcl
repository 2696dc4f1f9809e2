mock_provider "aws" {
  mock_data "aws_region" {
    defaults = {
      id = "eu-central-1"
    }
  }

  mock_resource "aws_apigatewayv2_domain_name" {
    defaults = {
      id = "ws.example.com"
    }
  }
}

variables {
  api_id          = "a1b2c3d4e5"
  certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/1234abcd-12ab-34cd-56ef-1234567890ab"
  domain_name     = "ws.example.com"
  stage_name      = "live"
}

run "domain_serves_the_stage" {
  variables {
    tags = { team = "chat" }
  }

  assert {
    condition     = aws_apigatewayv2_domain_name.this.domain_name == "ws.example.com" && aws_apigatewayv2_domain_name.this.tags == tomap({ team = "chat" })
    error_message = "the domain has its name and tags"
  }

  assert {
    condition = (
      aws_apigatewayv2_domain_name.this.domain_name_configuration[0].certificate_arn == "arn:aws:acm:eu-central-1:111122223333:certificate/1234abcd-12ab-34cd-56ef-1234567890ab"
      && aws_apigatewayv2_domain_name.this.domain_name_configuration[0].endpoint_type == "REGIONAL"
      && aws_apigatewayv2_domain_name.this.domain_name_configuration[0].ip_address_type == "ipv4"
      && aws_apigatewayv2_domain_name.this.domain_name_configuration[0].security_policy == "TLS_1_2"
    )
    error_message = "the domain is Regional, and takes TLS 1.2 with the certificate"
  }

  assert {
    condition     = aws_apigatewayv2_api_mapping.this.api_id == "a1b2c3d4e5" && aws_apigatewayv2_api_mapping.this.stage == "live" && aws_apigatewayv2_api_mapping.this.api_mapping_key == null && aws_apigatewayv2_api_mapping.this.domain_name == "ws.example.com"
    error_message = "the stage is mapped without a path"
  }

  assert {
    condition     = output.websocket_url == "wss://ws.example.com" && output.management_endpoint == "https://ws.example.com"
    error_message = "neither URL names the stage"
  }

  assert {
    condition     = length(aws_route53_record.this) == 0 && output.target_domain_name == aws_apigatewayv2_domain_name.this.domain_name_configuration[0].target_domain_name && output.hosted_zone_id == aws_apigatewayv2_domain_name.this.domain_name_configuration[0].hosted_zone_id
    error_message = "the record is made elsewhere, from the outputs"
  }
}

run "mapping_key_is_the_path_of_both_urls" {
  variables {
    mapping_key = "chat"
  }

  assert {
    condition     = aws_apigatewayv2_api_mapping.this.api_mapping_key == "chat" && output.websocket_url == "wss://ws.example.com/chat" && output.management_endpoint == "https://ws.example.com/chat"
    error_message = "the path is the mapping's key"
  }
}

run "record_is_an_alias_of_the_domains_target" {
  variables {
    dns_record = { zone_id = "Z0123456789ABC" }
  }

  assert {
    condition     = keys(aws_route53_record.this) == ["A"] && aws_route53_record.this["A"].name == "ws.example.com" && aws_route53_record.this["A"].type == "A" && aws_route53_record.this["A"].zone_id == "Z0123456789ABC"
    error_message = "the zone has one record with the domain's name"
  }

  assert {
    condition     = aws_route53_record.this["A"].alias[0].name == output.target_domain_name && aws_route53_record.this["A"].alias[0].zone_id == output.hosted_zone_id && !aws_route53_record.this["A"].alias[0].evaluate_target_health
    error_message = "it is an alias of the target"
  }
}

run "dual_stack_has_a_record_for_each_protocol" {
  variables {
    dns_record      = { zone_id = "Z0123456789ABC" }
    ip_address_type = "dualstack"
  }

  assert {
    condition     = aws_apigatewayv2_domain_name.this.domain_name_configuration[0].ip_address_type == "dualstack" && { for key, record in aws_route53_record.this : key => record.type } == { A = "A", AAAA = "AAAA" }
    error_message = "clients find both addresses"
  }
}

run "certificate_of_another_region_is_refused" {
  command = plan

  variables {
    certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/1234abcd-12ab-34cd-56ef-1234567890ab"
  }

  expect_failures = [data.aws_region.current]
}
