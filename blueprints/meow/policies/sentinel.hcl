# Without a source a policy is the file of its name beside this one.

policy "restrict-ingress-sg-rule-cidr-blocks" {
  enforcement_level = "soft-mandatory"
}

policy "restrict-output-sensitive" {
  enforcement_level = "advisory"
}

policy "working-day" {
  enforcement_level = "soft-mandatory"
}
