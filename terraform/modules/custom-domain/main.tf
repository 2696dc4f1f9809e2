locals {
  # Of variables alone: the backend's functions may have it, although the mapping waits for them.
  address = var.mapping_key == null ? var.domain_name : "${var.domain_name}/${var.mapping_key}"

  record_types = var.ip_address_type == "dualstack" ? ["A", "AAAA"] : ["A"]
}

data "aws_region" "current" {
  lifecycle {
    postcondition {
      condition     = split(":", var.certificate_arn)[3] == self.id
      error_message = "certificate_arn must be a certificate in the Region ${self.id}, because a Regional domain uses none of another Region."
    }
  }
}

# WebSocket APIs have Regional domains alone, and neither older TLS versions nor client certificates.
resource "aws_apigatewayv2_domain_name" "this" {
  domain_name = var.domain_name
  tags        = var.tags

  domain_name_configuration {
    certificate_arn = var.certificate_arn
    endpoint_type   = "REGIONAL"
    ip_address_type = var.ip_address_type
    security_policy = "TLS_1_2"
  }
}

resource "aws_apigatewayv2_api_mapping" "this" {
  api_id          = var.api_id
  api_mapping_key = var.mapping_key
  domain_name     = aws_apigatewayv2_domain_name.this.id
  stage           = var.stage_name

  # API Gateway refuses to delete a stage that a domain serves, and Terraform deletes an object before it updates others. So
  # the mapping is replaced with its stage.
  lifecycle {
    replace_triggered_by = [terraform_data.stage]
  }
}

resource "terraform_data" "stage" {
  triggers_replace = var.stage_name
}

resource "aws_route53_record" "this" {
  for_each = toset(nonsensitive(var.dns_record == null) ? [] : local.record_types) # whether there is a dns_record, and ip_address_type, must be known at plan

  name    = var.domain_name
  type    = each.value
  zone_id = var.dns_record.zone_id

  alias {
    evaluate_target_health = false
    name                   = aws_apigatewayv2_domain_name.this.domain_name_configuration[0].target_domain_name
    zone_id                = aws_apigatewayv2_domain_name.this.domain_name_configuration[0].hosted_zone_id
  }
}
