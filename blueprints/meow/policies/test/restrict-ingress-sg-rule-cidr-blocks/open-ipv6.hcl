mock "tfplan/v2" {
  module {
    source = "mock-tfplan-open-ipv6.sentinel"
  }
}

test {
  rules = {
    main = false
  }
}
